"""What the API serves of the catalogue, a module per kind of object."""
