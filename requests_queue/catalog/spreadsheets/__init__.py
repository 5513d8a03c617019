"""Spreadsheets and other files that are uploaded or downloaded, whatever is in them.

To be read in this order: `limits` (and their errors), `workbook_reader`, `workbook_writer`.
"""
