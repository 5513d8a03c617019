"""What a resource of the API is: fields, JSON, schema, filters, input."""
