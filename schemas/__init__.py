"""The ground floor: data sets, configuration, table and metric schemas, errors, progress events."""
