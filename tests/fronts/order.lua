-- For wrk: sixteen requests at a time, each with a number. The answers have to come in
-- their order. (wrk makes one batch more, before it begins, to see how many there are.)
local asked, answered, wrong, last = 0, 0, 0, nil

function request()
   local batch = {}
   for place = 1, 16 do
      asked = asked + 1
      batch[place] = wrk.format("GET", "/" .. asked)
   end
   return table.concat(batch)
end

function response(status, _, body)
   local number = tonumber(body:match("\nPATH_INFO=/(%d+)\n"))
   local follows = number and (last == nil and number % 16 == 1 or last and number == last + 1)
   answered = answered + 1
   if status ~= 200 or not follows then
      wrong = wrong + 1
   end
   last = number
   wrk.thread:set("answered", answered)
   wrk.thread:set("wrong", wrong)
end

local threads = {}

function setup(thread)
   table.insert(threads, thread)
end

function done(summary)
   local errors = summary.errors
   local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
   for _, thread in ipairs(threads) do
      print(string.format("answered %d, wrong %d", thread:get("answered") or 0, thread:get("wrong") or 0))
   end
   print(string.format("errors %d", failed))
end
