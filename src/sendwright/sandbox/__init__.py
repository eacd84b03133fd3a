"""The vendors' wire protocols with faults on request, and a phone to look at: a demo, and an oracle for tests.

What it says must hold whatever the product does, so nothing here imports the product: it can't share a mistake with
it. Every request is noted before it is answered; `taken` means that a real vendor would have delivered it.

  wire.py      a request, the answers that a server can give, the ways in which it can fail to
  server.py    HTTP/1.1 on a socket, with real resets          app.py     the same behind somebody else's ASGI server
  desk.py      what happens to a request, start to finish      control.py the page, the log, the faults
  twilio.py    native.py   …   the protocols, a file each      faults.py  misbehaviour by rules and shares
  vendors.py   whose a path is                                 smtp.py    the one that does not speak HTTP
  keyring.py   the key pairs that vendors' schemes need        sigv4.py, tokens.py  how a caller's signature is judged
  letters.py   a mail, taken apart                             page.py    what a phone and a mailbox show
  log.py       what was noted                                  receipts.py, courier.py  what is reported back, and how
"""
