"""A Python program as a traveller (traveller.h): big numbers, hashes, texts, and modules that are loaded after the arrival."""
import hashlib
import os
import random
import sys


def work(numbers):
    values = [numbers.randrange(10**30) for _ in range(50)]
    assert sum(values) == sum(sorted(values)) and sorted(values) == sorted(reversed(values))
    text = " ".join(map(str, values))
    assert [int(word) for word in text.split()] == values
    assert text.encode().decode() == text and text.find(str(values[49])) >= 0
    assert abs(sum(value / 3.0 for value in values) - sum(values) / 3.0) < 1e18
    assert hashlib.sha256(b"abc").hexdigest() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def fresh():
    import json  # pylint: disable=import-outside-toplevel
    import zlib  # pylint: disable=import-outside-toplevel
    data = json.dumps({str(i): [i, i / 7] for i in range(100)})
    assert json.loads(zlib.decompress(zlib.compress(data.encode())))["70"] == [70, 10.0]


random_numbers = random.Random(1)
work(random_numbers)
os.write(1, b"working\n")
while not os.path.exists("arrived"):
    asked = os.path.exists("report")
    work(random_numbers)
    if asked:
        os.unlink("report")
fresh()
for _ in range(20):
    work(random_numbers)
os.write(1, b"passed\n")
sys.exit(0)
