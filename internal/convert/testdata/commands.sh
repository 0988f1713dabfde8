# from the documentation
curl https://shop.test/products?limit=5 | jq .

curl 'https://shop.test/api/orders' -sS \
  -X POST -H 'Content-Type: application/json' \
  -H "Authorization: Bearer b34rer" -H 'User-Agent: x' \
  --data-raw $'{"note":"it\'s \u00e9 $5 ${x}","lines":[{"id":1}],"password":"hunter2"}' --compressed

curl -u me:hunter2 -d name=a -d 'text=b c' --data-urlencode 'more=x&y' https://shop.test/form; curl -I shop.test/head
curl -G -d a=1 -d b=2 https://shop.test/search?q=x
curl https://shop.test/upload -F title=mine -F 'file=@/tmp/a.png;type=image/png' --form-string 'raw=@x'
curl --json '{"a":1}' --json '' https://other.test/json
curl -X PATCH https://shop.test/text -H 'Content-Type: text/plain' --data-raw 'plain "text"
of two lines'
curl -XDELETE -b 'sid=s3cret' https://shop.test/it >/dev/null
