"""The audit of what leaves; shares no code with the engine that it audits."""
