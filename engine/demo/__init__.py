"""The embedded demo company, whose truth is known: `engine.demo.company.demo_company`."""
