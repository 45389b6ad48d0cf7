"""The official SDKs of Aliyun and Tencent Cloud, for oracle.rs.

send BASE KEYS: sends by each SDK to BASE; prints what came of it, a JSON object by name.
sign: reads requests from standard input, as JSON; prints the Authorization the SDK's own functions make for each.
"""

import json
import sys

from alibabacloud_dysmsapi20170525 import models as sms_models
from alibabacloud_dysmsapi20170525.client import Client as AliyunSms
from alibabacloud_dyvmsapi20170525 import models as voice_models
from alibabacloud_dyvmsapi20170525.client import Client as AliyunVoice
from alibabacloud_tea_openapi.utils import Utils
from alibabacloud_tea_openapi.utils_models import Config
from tencentcloud.common.abstract_client import AbstractClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.http.request import RequestInternal
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sms.v20210111 import models as tencent_sms_models
from tencentcloud.sms.v20210111.sms_client import SmsClient
from tencentcloud.vms.v20200902 import models as tencent_voice_models
from tencentcloud.vms.v20200902.vms_client import VmsClient


def aliyun(client, keys, host, call):
    """The code of the answer, or of the refusal."""
    config = Config(access_key_id=keys["id"], access_key_secret=keys["secret"], endpoint=host, protocol="http")
    try:
        return call(client(config)).body.code
    except Exception as error:  # the SDK raises several classes
        return getattr(error, "code", None) or repr(error)


def aliyun_sms(client):
    param = json.dumps({"name": "王*明", "type": "SOS (+*~)", "time": "11-22 14:03", "code": "1234"}, ensure_ascii=False)
    request = sms_models.SendSmsRequest(
        phone_numbers="13800000000", sign_name="守望", template_code="SMS_1", template_param=param, out_id="1-1"
    )
    return client.send_sms(request)


def aliyun_voice(client):
    param = json.dumps({"name": "王*明", "type": "SOS"}, ensure_ascii=False)
    request = voice_models.SingleCallByTtsRequest(
        called_number="13800000000", tts_code="TTS_1", tts_param=param, play_times=2, out_id="1-1"
    )
    return client.single_call_by_tts(request)


def tencent(client, keys, host, request, call):
    profile = ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=host))
    try:
        answer = call(client(Credential(keys["id"], keys["secret"]), "ap-guangzhou", profile), request)
        return json.loads(answer.to_json_string())
    except TencentCloudSDKException as error:
        return error.get_code()


def tencent_sms():
    request = tencent_sms_models.SendSmsRequest()
    request.PhoneNumberSet = ["+8613800000000"]
    request.SmsSdkAppId, request.SignName, request.TemplateId = "1400006666", "守望", "1110"
    request.TemplateParamSet = ["王*明", "SOS", "1234"]
    return request


def tencent_voice():
    request = tencent_voice_models.SendTtsVoiceRequest()
    request.CalledNumber, request.VoiceSdkAppid, request.TemplateId = "+8613800000000", "1400006666", "1110"
    request.TemplateParamSet, request.PlayTimes = ["王*明", "SOS"], 2
    return request


def send(provider, host, keys):
    if provider == "aliyun":
        return {"sms": aliyun(AliyunSms, keys, host, aliyun_sms), "voice": aliyun(AliyunVoice, keys, host, aliyun_voice)}
    return {
        "sms": tencent(SmsClient, keys, host, tencent_sms(), SmsClient.SendSms),
        "voice": tencent(VmsClient, keys, host, tencent_voice(), VmsClient.SendTtsVoice),
    }


class Seen:
    """A request as the signing functions of both SDKs want it."""

    def __init__(self, seen):
        self.method, self.pathname, self.query, self.headers = seen["method"], "/", seen["query"], seen["headers"]


def sign(seen):
    if seen["provider"] == "aliyun":
        payload = seen["headers"]["x-acs-content-sha256"]
        return Utils.get_authorization(Seen(seen), "ACS3-HMAC-SHA256", payload, seen["id"], seen["secret"])
    client = AbstractClient(Credential(seen["id"], seen["secret"]), "ap-guangzhou")
    request = RequestInternal(seen["headers"]["host"], "POST", "/")
    request.header.update(
        {
            "Content-Type": seen["headers"]["content-type"],
            "Host": seen["headers"]["host"],
            "X-TC-Timestamp": seen["headers"]["x-tc-timestamp"],
        }
    )
    request.data = seen["body"]
    date, service = seen["date"], seen["service"]
    signature = client._get_tc3_signature({}, request, date, service, seen["secret"])
    return (
        f"TC3-HMAC-SHA256 Credential={seen['id']}/{date}/{service}/tc3_request, "
        f"SignedHeaders=content-type;host, Signature={signature}"
    )


if sys.argv[1] == "send":
    print(json.dumps(send(sys.argv[2], sys.argv[3], json.loads(sys.argv[4]))))
else:
    print(json.dumps([sign(seen) for seen in json.load(sys.stdin)]))
