"""Talks to the front door with Eclipse Paho: a good frame over 3.1.1 and 5, and one that does not decode over 5."""

import sys

import paho.mqtt.client as mqtt

port, name, token, topic, frame = int(sys.argv[1]), *sys.argv[2:6]


def publish(protocol, payload):
    """Publishes once and returns the reason code of the PUBACK (None in 3.1.1)."""
    answers = []
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=protocol)
    client.username_pw_set(name, token)
    client.on_publish = lambda _client, _data, _mid, reason, _properties: answers.append(reason)
    client.connect("127.0.0.1", port, keepalive=10)
    client.loop_start()
    try:
        client.publish(topic, payload, qos=1)
        for _ in range(200):
            if answers:
                return answers[0]
            import time

            time.sleep(0.05)
        raise SystemExit("no PUBACK within 10 s")
    finally:
        client.disconnect()
        client.loop_stop()


publish(mqtt.MQTTv311, frame)
print("v3.1.1 acknowledged")
print("v5", publish(mqtt.MQTTv5, frame))
print("v5", publish(mqtt.MQTTv5, "not a frame"))
