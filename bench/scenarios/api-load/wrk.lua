-- What scripts and pages ask all the time, in turn. The token stands in a file: command lines are for everybody to read.
local paths = {
  "/v1/status", "/v1/sessions?limit=100", "/v1/sessions/s5000", "/v1/sas?limit=100", "/v1/sessions?limit=100&after=s7000",
  "/v1/leases?limit=100", "/v1/workers", "/v1/drops", "/v1/sessions?identity=p77*@sim", "/metrics",
}
local file = assert(io.open(os.getenv("WRK_TOKEN_FILE")))
local token = file:read("*l")
file:close()
local next = 0

function request()
  next = next % #paths + 1
  return wrk.format("GET", paths[next], { ["Authorization"] = "Bearer " .. token })
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"errors":%d,"not_2xx":%d}\n',
    summary.requests, errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
