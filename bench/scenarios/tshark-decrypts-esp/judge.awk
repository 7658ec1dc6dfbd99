# Judges the table that tshark made of the capture; -v ask=... names the question. Prints what is wrong and fails.
BEGIN { wrong = 0; packets = 0 }

function bad(text) {
  if (wrong++ < 5) print "got: frame " $1 ": " text
}

$5 != "" {
  packets++
  if (!($5 in last)) { spis++; last[$5] = 0 }
  if (ask == "encapsulation" && $11 !~ /udp:udpencap:esp/) bad("protocols " $11)
  if (ask == "icv" && $8 != "1" && $8 != "True") bad("SPI " $5 " sequence number " $6 ": ICV \"" $8 "\"")
  if (ask == "sequence" && $6 != last[$5] + 1) bad("SPI " $5 ": sequence number " $6 " after " last[$5])
  last[$5] = $6
  if (ask == "iv" && ($7 == "" || ($5, $7) in seen)) bad("SPI " $5 ": IV \"" $7 "\" of frame " seen[$5, $7])
  seen[$5, $7] = $1
  if (ask == "inner" && $10 != "0x04" && $10 != "0x29") bad("next header \"" $10 "\"")
}
# IKE_SA_INIT is exchange 34; the rest is encrypted.
$3 != "" && $3 != 34 { ike++; if (ask == "ike" && $4 == "") bad("exchange " $3 " is not decrypted") }

END {
  if (ask == "amount" && (spis != 6 || packets < 1000)) { print "expected: 6 SPIs, 1000 packets\ngot: " spis+0 " SPIs, " packets " packets"; wrong++ }
  if (ask == "ike" && ike < 8) { print "expected: 8 encrypted IKE messages\ngot: " ike+0; wrong++ }
  if (wrong > 5) print wrong " in all"
  exit wrong > 0
}
