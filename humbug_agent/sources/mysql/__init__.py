"""The table cdr that Asterisk fills in MariaDB or MySQL, as FreePBX and its kin have it."""
