"""Usage files: what customers have used, reported by the vendor and billed by the distributor."""
