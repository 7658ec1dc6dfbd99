# Reads a strongSwan client's log (filelog levels chd = 4) and prints tshark's esp_sa rows, one for each ESP SA:
# protocol, source, destination, SPI, encryption, key, authentication, key. The client began every exchange, so the
# initiator's keys are those of its outbound SAs. Lines of one thread belong together; threads may interleave.

function thread(field) { sub(/\[.*/, "", field); return field }

# 23:05:08 08[CHD] encryption initiator key => 20 bytes @ 0x7f13d40041e0
/\[CHD\] (encryption|integrity) (initiator|responder) key => / {
  t = thread($2)
  current[t] = $3 " " $4
  keys[t, current[t]] = ""
  next
}
# 23:05:08 08[CHD]    0: 46 07 F9 51 7A 6F 72 F4 E1 98 B4 E3 9B DD 4E EA  F..Qzor.......N.
/\[CHD\] +[0-9]+: / && thread($2) in current {
  t = thread($2)
  octets = substr($0, index($0, ": ") + 2, 48)
  gsub(/ /, "", octets)
  keys[t, current[t]] = keys[t, current[t]] tolower(octets)
  next
}
{ delete current[thread($2)] }
/\[CHD\]   using .* for (encryption|integrity)/ { algorithm[thread($2), $NF] = $4; if ($NF == "encryption") delete algorithm[thread($2), "integrity"] }
# A rekey "registers" the outbound SA before it is added.
/\[CHD\] (adding|registering) (in|out)bound ESP SA/ { direction[thread($2)] = $3 == "adding" ? $4 : "" }
/\[CHD\]   SPI 0x/ && direction[thread($2)] != "" {
  t = thread($2)
  spi = $4
  sub(/,/, "", spi)
  side = direction[t] == "outbound" ? "initiator" : "responder"
  encryption = "AES-CBC [RFC3602]"
  if (algorithm[t, "encryption"] == "AES_GCM_16") encryption = "AES-GCM with 16 octet ICV [RFC4106]"
  integrity = "NULL"
  integrity_key = ""
  if (algorithm[t, "integrity"] == "HMAC_SHA2_256_128") {
    integrity = "HMAC-SHA-256-128 [RFC4868]"
    integrity_key = "0x" keys[t, "integrity " side]
  }
  for (family = 4; family <= 6; family += 2)
    printf "\"IPv%d\",\"*\",\"*\",\"%s\",\"%s\",\"0x%s\",\"%s\",\"%s\"\n", family, spi, encryption, keys[t, "encryption " side], integrity, integrity_key
}
