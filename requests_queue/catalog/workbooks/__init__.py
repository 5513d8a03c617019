"""Products as workbooks of `ccli product export`: import and export, with all ids.

To be read in this order: `reading` (rows of a product's sheets), `sheets` (their columns),
`session` (what an import does), `importing`, `exporting`. Each other module has the sheets of one
part: `general`, `items`, `parameters`, `configured`, `texts`, `media`, `sales`.
"""
