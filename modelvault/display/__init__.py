"""Display: how what is stored is shown to people.  Values in, text out."""
