"""The destination type humbug: Humbug's receiver."""
