"""The source type fusionpbx: call_range of FusionPBX's billing API (fusionapi)."""
