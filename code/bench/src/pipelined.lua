-- wrk's script for pipelined requests: `wrk -s pipelined.lua URL -- DEPTH` sends DEPTH
-- requests at a time, and the next as many when all of them are answered.
init = function(arguments)
   local request = wrk.format()
   batch = string.rep(request, tonumber(arguments[1]))
end

request = function()
   return batch
end
