"""The source type postgresql: the table v_xml_cdr of FusionPBX's own database."""
