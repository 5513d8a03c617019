"""What a resource of the API is: fields, JSON, schema, filters, input.

To be read in this order: `schema` (types), `resources` (what is shown of a model), `filter_tables`,
`filtering`, `inside_json` and `wildcards` (RQL), `fields` and `body` (input), `moments` (in both),
`openapi`. JSON is in `fast_json`, `json_paths`, `json_validation`, `json_field` and `json_diff`;
`rendering` is of templates. Nothing here knows the catalog or a queue.
"""
