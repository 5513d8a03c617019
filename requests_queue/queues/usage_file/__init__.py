"""Usage files: usage by customers, reported by the vendor and billed by the distributor."""
