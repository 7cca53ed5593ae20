"""Commands `kernel install` and `kernel remove`: the kernel of this environment in JupyterLab."""

import click


@click.group()
def kernel() -> None:
    """Add this environment to JupyterLab as "Python 3 (healthval)"."""


@kernel.command()
@click.option("--user", is_flag=True, help="For every Jupyter of this user, in any environment.")
def install(user: bool) -> None:
    """Install the kernel, in place of an earlier one."""
    from healthval.runner.kernelspec import install_kernel

    click.echo(f"installed {install_kernel(user=user)}")


@kernel.command()
def remove() -> None:
    """Remove the kernel wherever Jupyter finds it."""
    from healthval.runner.kernelspec import remove_kernel

    for folder in remove_kernel():
        click.echo(f"removed {folder}")
