columns = {"age", "height", "weight", "income", "city", "country", "sex", "year"}
raise ValueError(f"these columns are not there: {columns}")
