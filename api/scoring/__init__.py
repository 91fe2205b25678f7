"""MOJO scoring in process; framework-free and the only importer of JPype."""
