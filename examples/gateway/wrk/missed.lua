-- One small read that no cache answers.
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"jsonrpc":"2.0","id":1,"method":"eth_gasPrice","params":[]}'

done = function(summary, latency)
  io.write(string.format("p50 %d us, p99 %d us\n", latency:percentile(50), latency:percentile(99)))
end
