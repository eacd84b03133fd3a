"""Amazon SQS as the bus: standard queues, one per lane. `open_sqs` in bus.py, `open_ingress` in ingress.py.

    address     the URL of the settings, and the names of queues
    calls       the rim: one API call, its time limit, and what its failure means
    batches     many single requests gathered into batches of ten, judged entry by entry
    bodies      bundles under the size limit, in characters that SQS lets through
    checkroom   where a parcel goes that is too large to travel
    queues      one queue: made once, checked, its batches
    hands       what is in our hands: heart-beats, done, given back
    source      who waits for a queue, and the polls that serve them
    book        how deep and how old a lane is, as far as can be known
    bus         ports.Bus, over these
    ingress     raw messages of producers that skip HTTP

Only calls.py knows aiobotocore, and imports it when it is first used: that takes two seconds.
"""
