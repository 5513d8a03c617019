"""The inquiring form: what a vendor asks of a customer or a reseller, and how they answer."""
