"""The embedded demo company, whose truth is known: see `engine.demo.company.demo_company`."""
