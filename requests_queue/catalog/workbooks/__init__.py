"""Products as workbooks of `ccli product export`: import and export, with all ids."""
