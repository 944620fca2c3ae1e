"""Label running text without annotators: documents, their cleaning, and labellers that vote."""
