/** A screen that failed to draw: an error in words instead of an empty page. */

import { Component, type ReactNode } from "react";
import { Failed } from "./load.tsx";

interface Held {
  readonly error: unknown;
}

export class Boundary extends Component<{ readonly children: ReactNode }, Held> {
  override state: Held = { error: null };

  static getDerivedStateFromError(): Held {
    return { error: new Error("The hub's answer cannot be shown here. Open the signed report itself, or ask the operator.") };
  }

  override render(): ReactNode {
    return this.state.error === null ? this.props.children : <Failed error={this.state.error} />;
  }
}
