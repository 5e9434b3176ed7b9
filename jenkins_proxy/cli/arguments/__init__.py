"""The arguments of the commands: what argparse is told, and what comes of what is given."""
