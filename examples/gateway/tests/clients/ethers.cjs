"use strict";
const { JsonRpcProvider, NonceManager, Wallet, parseEther } = require("ethers");
const [url, key, to] = process.argv.slice(2);

(async () => {
  const provider = new JsonRpcProvider(url);
  const block = await provider.getBlock("latest", true);
  const signer = new NonceManager(new Wallet(key, provider));
  const sent = await signer.sendTransaction({ to, value: parseEther("1") });
  const receipt = await sent.wait(1, 30_000);
  const mined = await provider.getBlock(receipt.blockNumber);
  console.log(JSON.stringify({ read: block.number, hash: receipt.hash, status: receipt.status, mined: mined.transactions }));
  provider.destroy();
})();
