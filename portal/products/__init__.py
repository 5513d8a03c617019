"""Pages of products: the list, the tabs of one, and its action links."""
