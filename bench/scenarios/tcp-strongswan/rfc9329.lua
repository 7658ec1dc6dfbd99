-- RFC 9329 for tshark, which knows TCP's reassembly, UDP-encapsulated ESP and IKE, but not these frames around them.
local stream = Proto("rfc9329", "IKE and ESP in TCP (RFC 9329)")
local prefix = ProtoField.string("rfc9329.prefix", "Prefix")
local length = ProtoField.uint16("rfc9329.length", "Length")
local short = ProtoExpert.new("rfc9329.short", "Shorter than its own length", expert.group.MALFORMED, expert.severity.ERROR)
stream.fields = { prefix, length }
stream.experts = { short }
local inside = DissectorTable.get("udp.port"):get_dissector(4500)

local function is_prefix(tvb, offset)
  return tvb:reported_length_remaining(offset) >= 6 and tvb(offset, 6):string() == "IKETCP"
end

local function frame_length(tvb, pinfo, offset)
  if tvb(offset, 2):uint() == 0x494b then return 6 end
  return math.max(tvb(offset, 2):uint(), 2)
end

local function frame(tvb, pinfo, tree)
  local branch = tree:add(stream, tvb())
  if is_prefix(tvb, 0) then
    branch:add(prefix, tvb(0, 6))
    return tvb:len()
  end
  branch:add(length, tvb(0, 2))
  if tvb:len() < 3 then
    branch:add_proto_expert_info(short)
    return tvb:len()
  end
  inside:call(tvb(2):tvb(), pinfo, tree)
  return tvb:len()
end

function stream.dissector(tvb, pinfo, tree)
  pinfo.cols.protocol = "RFC9329"
  dissect_tcp_pdus(tvb, tree, 2, frame_length, frame)
  return tvb:len()
end

for _, port in ipairs({ 4500, 10000 }) do
  DissectorTable.get("tcp.port"):add(port, stream)
end
