import json
import sys

from web3 import Web3

url, key, to = sys.argv[1:]
web3 = Web3(Web3.HTTPProvider(url))
block = web3.eth.get_block("latest")
account = web3.eth.account.from_key(key)
fees = {"maxFeePerGas": 2 * web3.eth.gas_price, "maxPriorityFeePerGas": web3.eth.max_priority_fee}
signed = account.sign_transaction(
    {
        "to": Web3.to_checksum_address(to),
        "value": Web3.to_wei(1, "ether"),
        "gas": 21000,
        "chainId": web3.eth.chain_id,
        "nonce": web3.eth.get_transaction_count(account.address),
        **fees,
    }
)
sent = web3.eth.send_raw_transaction(signed.raw_transaction)
receipt = web3.eth.wait_for_transaction_receipt(sent, timeout=30)
mined = web3.eth.get_block(receipt["blockNumber"])["transactions"]
print(
    json.dumps(
        {
            "read": block["number"],
            "hash": sent.to_0x_hex(),
            "status": receipt["status"],
            "mined": [hash.to_0x_hex() for hash in mined],
        }
    )
)
