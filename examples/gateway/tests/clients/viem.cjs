"use strict";
const { createPublicClient, createWalletClient, http, parseEther } = require("viem");
const { privateKeyToAccount } = require("viem/accounts");
const { foundry } = require("viem/chains");
const [url, key, to] = process.argv.slice(2);

(async () => {
  // Its batches are tested with it.
  const transport = http(url, { batch: true });
  const client = createPublicClient({ chain: foundry, transport });
  const [block] = await Promise.all([client.getBlock(), client.getGasPrice(), client.getChainId()]);
  const wallet = createWalletClient({ account: privateKeyToAccount(key), chain: foundry, transport });
  const hash = await wallet.sendTransaction({ to, value: parseEther("1") });
  const receipt = await client.waitForTransactionReceipt({ hash, timeout: 30_000 });
  const mined = await client.getBlock({ blockNumber: receipt.blockNumber });
  const status = receipt.status === "success" ? 1 : 0;
  console.log(JSON.stringify({ read: Number(block.number), hash, status, mined: mined.transactions }));
})();
