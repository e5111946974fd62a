<?php
/* One POST a line of a file over one kept connection, as a careful admin would write it: the line's end is noted in a
 * file beside it once it was taken. Arguments: the file, host, port, path, lines. */
[, $file, $host, $port, $path, $lines] = $argv;
$log = fopen($file, 'r');
$note = fopen("$file.offset", 'c+');
$socket = fsockopen($host, (int) $port);
for ($n = 0; $n < $lines; $n++) {
    $columns = str_getcsv($line = fgets($log));
    $body = http_build_query(array_combine(array_map(fn ($i) => "c$i", array_keys($columns)), $columns));
    fwrite($socket, "POST $path HTTP/1.1\r\nHost: $host\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        . 'Content-Length: ' . strlen($body) . "\r\n\r\n$body");
    for ($length = 0; ($head = fgets($socket)) !== "\r\n";) {
        if (stripos($head, 'content-length:') === 0) {
            $length = (int) substr($head, 15);
        }
    }
    $length && fread($socket, $length);
    rewind($note);
    fwrite($note, ftell($log) . "\n");
}
