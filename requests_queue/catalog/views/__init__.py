"""What the API serves of the catalog, a module per kind of object."""
