"""The words of medhash as types: settings, cells, variants. The ground floor."""
