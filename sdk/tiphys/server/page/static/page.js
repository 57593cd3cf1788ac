// What a page shows is what the server sent; this keeps it up to date without loading it again.
export {};
