"""The source type freeswitch_json: a directory of documents of mod_json_cdr, mod_format_cdr or mod_xml_cdr."""
