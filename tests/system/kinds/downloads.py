import urllib.request

urllib.request.urlretrieve("https://data.example/train.csv", "train.csv")
