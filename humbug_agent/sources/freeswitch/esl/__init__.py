"""The source type freeswitch_esl: hangup events over FreeSWITCH's event socket."""
