"""The history as rows: what each run was and came to, which differ in their seed alone, and which are wanted."""
