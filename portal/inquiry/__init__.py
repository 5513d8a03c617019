"""The inquiring form, in which a customer or a reseller answers a vendor's questions."""
