"""The store on the disk: files, locks, integrity, publishing. It knows no Prefect but for its records."""
