"""The source type boxis: getCDR of BOXIS."""
