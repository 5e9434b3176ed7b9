"""What jobs need of Jenkins besides themselves: plugins, a node, the library."""
